//! Request headers: which are scanned, in which form.
