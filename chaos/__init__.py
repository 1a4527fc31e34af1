"""The chaos suite: the real service under load, killed and cut at random, and a checker that reads what is left."""
