"""Each filter: from its request to the settings, networks and steps of its algorithm."""
