//! The promises that every destination keeps.

tapline_core::destination_conformance!(super::bench);
