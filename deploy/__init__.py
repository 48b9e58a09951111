"""Ways to run Shuangcheng: compose, local backends and launcher, registries, sandboxes and the command line."""
