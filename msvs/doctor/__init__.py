"""`msvs doctor`: checks of a deployment, each of which says what to do about what it finds."""
