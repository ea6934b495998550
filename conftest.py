"""Where pytest looks for plugins: the tests' databases."""

pytest_plugins = ["tests.support.databases"]
