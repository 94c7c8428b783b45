"""Commands that write a view of runs into a file: pages, sites and phylogenies."""
