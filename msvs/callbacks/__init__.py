"""Where carriers reach us by HTTP: delivery reports and messages from handsets."""
