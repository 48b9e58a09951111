"""Systems of the kind ``rest_api``: HTTP, with bodies in the registry's own words."""
