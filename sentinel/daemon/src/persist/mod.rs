//! Writing what is learnt.
