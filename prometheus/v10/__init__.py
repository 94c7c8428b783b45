"""The V10 suite: a sealed world (core) and everything that stands outside and writes down what it sees."""
