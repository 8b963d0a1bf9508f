"""Other people's programs, unmodified, with the packages that `nox -s apps` installs."""
