//! Tokens and keys, which nothing shows.

use std::ffi::OsString;
use std::fmt;
use std::path::Path;

use super::regular_file;

/// The longest file with a token or key, in bytes.
pub const SECRET_FILE_MAX: usize = 16 * 1024;

/// A token or a key. It is shown as `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// What must not be shown.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<OsString> for Secret {
    fn from(text: OsString) -> Self {
        Self(text.into_encoded_bytes())
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A file that holds a secret, as it was when it was read.
#[derive(Debug, Clone)]
pub struct SecretFile(Secret);

impl SecretFile {
    /// Reads a file. One line end at its end does not count, as editors and `echo` leave it.
    ///
    /// # Errors
    /// Why the file cannot be used, in words that follow its name.
    pub fn read(path: &Path) -> Result<Self, String> {
        let mut content = regular_file::read(path, SECRET_FILE_MAX)?;
        if content.ends_with(b"\n") {
            content.pop();
            if content.ends_with(b"\r") {
                content.pop();
            }
        }
        match content.is_empty() {
            true => Err("it is empty".to_owned()),
            false => Ok(Self(Secret(content))),
        }
    }

    /// What it held.
    pub fn content(&self) -> &Secret {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    /// A file of its own, removed when the test is over.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let name = format!("fanfare-secret-{name}-{}", std::process::id());
            Self(std::env::temp_dir().join(name))
        }

        fn read(&self, content: &[u8]) -> Result<SecretFile, String> {
            fs::write(&self.0, content).expect("a file");
            SecretFile::read(&self.0)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            // It may never have been written.
            let _ = fs::remove_file(&self.0);
        }
    }

    #[test]
    fn one_line_end_at_the_end_of_a_file_does_not_count() {
        let scratch = Scratch::new("ends");
        for (content, expected) in [
            (&b"a"[..], &b"a"[..]),
            (b"a\n", b"a"),
            (b"a\r\n", b"a"),
            (b"a\n\n", b"a\n"),
            (b"a\r", b"a\r"),
            (b" a ", b" a "),
            (b"\xff\0\n", b"\xff\0"),
        ] {
            let file = scratch.read(content).expect("a good file");
            assert_eq!(file.content().bytes(), expected);
        }
    }

    #[test]
    fn a_file_that_is_missing_empty_or_too_long_is_refused() {
        let scratch = Scratch::new("refused");
        let refusal = |read: Result<SecretFile, String>| read.expect_err("it is refused");
        let missing = refusal(SecretFile::read(&scratch.0));
        assert!(missing.starts_with("it cannot be read: "), "{missing}");
        for content in ["", "\n", "\r\n"] {
            assert_eq!(refusal(scratch.read(content.as_bytes())), "it is empty");
        }
        let longest = vec![b'a'; SECRET_FILE_MAX];
        assert!(scratch.read(&longest).is_ok());
        let longer = refusal(scratch.read(&[&longest[..], b"a"].concat()));
        assert!(longer.starts_with("it is larger than"), "{longer}");
        for path in [&std::env::temp_dir(), Path::new("/dev/zero")] {
            assert_eq!(refusal(SecretFile::read(path)), "it is no regular file");
        }
    }
}
