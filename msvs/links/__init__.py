"""Short links: redirect people to where a link of a message leads."""
