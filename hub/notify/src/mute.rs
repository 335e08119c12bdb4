//! Mutes: alerts that nobody wants to hear of until a moment, with an author and a comment.
