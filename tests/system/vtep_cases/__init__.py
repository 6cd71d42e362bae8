"""Test bodies of the system tests; the pytest modules beside this folder choose builds and run them."""
