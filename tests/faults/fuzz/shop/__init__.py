"""The package that topics are allowed to name, with modules that nothing else imports."""
