"""One connection to a Redis or Valkey server that everybody in an event loop shares; cache and budget stand on it."""
