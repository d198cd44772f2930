//! sni-check
