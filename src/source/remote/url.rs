//! URLs as typed: which store, which object or objects in it, and how they are shown without what
//! may be secret.

use crate::source::SourceError;

/// The kinds of stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    /// Any web server; `true`: TLS.
    Http(bool),
    /// Amazon S3 and what speaks its protocol.
    S3,
    /// Google Cloud Storage.
    Gs,
    /// Azure Blob Storage.
    Azure,
}

/// A URL, taken apart. Keys are taken as they stand, for keys may hold any character.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Url {
    pub scheme: Scheme,
    /// The URL up to its key: `s3://bucket`.
    pub base: String,
    /// Server or bucket.
    pub authority: String,
    /// What is behind the first `/`; of a web server, with the query.
    pub key: String,
}

impl Url {
    /// Takes `text` apart, which has a scheme.
    ///
    /// # Errors
    /// When it is of no kind that is read.
    pub fn parse(text: &str) -> Result<Self, SourceError> {
        let (name, rest) = text.split_once("://").unwrap_or((text, ""));
        let (authority, key) = rest.split_once('/').unwrap_or((rest, ""));
        let refused = |reason: &str| {
            let url = format!("{name}://{}", authority.rsplit('@').next().unwrap_or_default());
            Err(SourceError::Remote { url, reason: reason.to_owned() })
        };
        let scheme = match name.to_ascii_lowercase().as_str() {
            "http" => Scheme::Http(false),
            "https" => Scheme::Http(true),
            "s3" | "s3a" => Scheme::S3,
            "gs" => Scheme::Gs,
            "az" | "azure" | "abfs" | "abfss" => Scheme::Azure,
            _ => {
                return refused(
                    "URLs of this kind are not read: those of http, https, s3, gs, az and abfs \
                     are; or pipe it in: curl ... | tidegate backfill - ...",
                );
            }
        };
        if authority.is_empty() {
            return refused("the URL names no server or bucket");
        }
        if matches!(scheme, Scheme::Http(_)) && authority.contains('@') {
            return refused("names and passwords in URLs are not sent: use a signed URL");
        }
        let of_name = |c: char| c.is_ascii_alphanumeric() || "-._@$".contains(c);
        if !matches!(scheme, Scheme::Http(_)) && !authority.chars().all(of_name) {
            return refused("that is no name of a bucket");
        }
        let base = format!("{name}://{authority}");
        Ok(Self { scheme, base, authority: authority.to_owned(), key: key.to_owned() })
    }

    /// For people: without the query, which may hold a signature.
    pub fn shown(&self) -> String {
        let key = match self.scheme {
            Scheme::Http(_) => self.key.split(['?', '#']).next().unwrap_or_default(),
            _ => &self.key,
        };
        format!("{}/{key}", self.base)
    }

    /// The URL of another object in the same bucket, for people.
    pub fn sibling(&self, key: &str) -> String {
        format!("{}/{key}", self.base)
    }

    /// Which keys are meant, if the URL stands for several: below which folder they are looked
    /// for, and the pattern that they must have; none: all.
    pub fn several(&self) -> Option<(&str, Option<&str>)> {
        if matches!(self.scheme, Scheme::Http(_)) {
            return None;
        }
        if let Some(first) = self.key.find(['*', '?', '[']) {
            let folder = self.key[..first].rfind('/').map_or("", |at| &self.key[..at]);
            return Some((folder, Some(&self.key)));
        }
        let all = self.key.is_empty() || self.key.ends_with('/');
        all.then(|| (self.key.trim_end_matches('/'), None))
    }

    /// What to look at when a store cannot be asked as things are set up.
    pub fn settings(&self) -> &'static str {
        match self.scheme {
            Scheme::Http(_) => "check the URL",
            Scheme::S3 => {
                "check AWS_ENDPOINT_URL and AWS_REGION; a server without TLS needs \
                 AWS_ALLOW_HTTP=true"
            }
            Scheme::Gs => {
                "check GOOGLE_APPLICATION_CREDENTIALS and GOOGLE_BASE_URL; a server without TLS \
                 needs GOOGLE_ALLOW_HTTP=true"
            }
            Scheme::Azure => {
                "check AZURE_STORAGE_ACCOUNT_NAME, AZURE_STORAGE_ACCOUNT_KEY and \
                 AZURE_STORAGE_ENDPOINT; a server without TLS needs AZURE_ALLOW_HTTP=true"
            }
        }
    }

    /// What to do when the store lets nobody in.
    pub fn credentials(&self) -> &'static str {
        match self.scheme {
            Scheme::Http(_) => "check the URL; a signed one may have expired",
            Scheme::S3 => {
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN) for an \
                 account that may read and list it, or AWS_SKIP_SIGNATURE=true if it is public"
            }
            Scheme::Gs => {
                "let GOOGLE_APPLICATION_CREDENTIALS name the key file of an account that may read \
                 and list it, or set GOOGLE_SKIP_SIGNATURE=true if it is public"
            }
            Scheme::Azure => {
                "set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY (or \
                 AZURE_STORAGE_SAS_TOKEN), or AZURE_SKIP_SIGNATURE=true if it is public"
            }
        }
    }
}

/// Whether `authority`, a host with or without a port, is this machine.
pub(super) fn is_loopback(authority: &str) -> bool {
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    matches!(host, "localhost" | "[::1]") || host.starts_with("127.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart_and_shown_without_secrets() {
        let url = |text| Url::parse(text).unwrap();
        assert_eq!(url("s3://b/2024/a b.csv").key, "2024/a b.csv");
        let signed = url("https://h:8443/d/a.csv.gz?X-Amz-Signature=secret");
        assert_eq!(signed.shown(), "https://h:8443/d/a.csv.gz");
        assert_eq!(signed.several(), None);
        for (text, several) in [
            ("s3://b", Some(("", None))),
            ("s3://b/d/", Some(("d", None))),
            ("gs://b/d/2024-*/x?.csv", Some(("d", Some("d/2024-*/x?.csv")))),
            ("az://c/*.csv", Some(("", Some("*.csv")))),
            ("abfss://c@a.dfs.core.windows.net/d/a.csv", None),
        ] {
            assert_eq!(url(text).several(), several, "{text}");
        }
        for text in ["s3://b k/a.csv", "az://c?/a.csv", "gs://é/a.csv"] {
            let error = Url::parse(text).unwrap_err().to_string();
            assert!(error.contains("no name of a bucket"), "{error}");
        }
        for text in ["ftp://u:secret@h/a.csv", "s3:///a.csv", "https://u:secret@h/a.csv"] {
            let error = Url::parse(text).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
        for (authority, is) in [("127.0.0.1:9000", true), ("[::1]:9000", true), ("a.com", false)] {
            assert_eq!(is_loopback(authority), is, "{authority}");
        }
    }
}
