//! A place in an S3 bucket.
