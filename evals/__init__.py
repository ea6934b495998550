"""Questions of people about Verify sessions, with the true answers, for models and for a script."""
