//! The ledger's protocol (DESIGN 3.1), written once over the small SQL interface of `session`.

pub mod schema;
