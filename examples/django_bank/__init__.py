"""A bank behind Django, with the library's own connections."""
