//! Records from bytes (RFC 4180), with the physical line each begins on.
