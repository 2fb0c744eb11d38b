"""Named environments: an interpreter and packages that local sessions have, apart from ours."""
