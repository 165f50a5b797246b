"""One connection to each Redis or Valkey server, shared by all in an event loop; cache and budget stand on it."""
