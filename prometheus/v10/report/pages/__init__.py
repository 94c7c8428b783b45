"""Pages: one self-contained HTML file a run, and the site of an installation. They read, and decide nothing."""
