//! One vocabulary of calls over both PBXs, and a dictionary for each.
