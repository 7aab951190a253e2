"""Scripts that set up a checkout. They import the standard library only: nothing is installed when they run."""
