"""Ways to run Shuangcheng: compose, local launcher, registries, sandboxes and the command line."""
