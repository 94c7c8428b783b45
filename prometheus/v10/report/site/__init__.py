"""The site of an installation: static pages over all of its runs. They read, and decide nothing."""
