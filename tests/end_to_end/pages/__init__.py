"""Tests of the pages: a package, so that the linkage and the browser they share end with them."""
