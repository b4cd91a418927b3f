use std::fmt;
use std::process::ExitCode;

/// What a verb ends with.
pub type Outcome<T = ()> = Result<T, Failure>;

/// Why a verb failed, and so with which exit code.
#[derive(Debug)]
pub enum Failure {
    /// A run or check failed: exit code 1.
    Run(anyhow::Error),
    /// The caller can mend it: bad usage or bad input, exit code 2.
    Input(anyhow::Error),
    /// Someone asked for an end: the exit code of a shell for that signal.
    Stopped { message: String, code: u8 },
}

impl Failure {
    /// A failure that the caller can mend.
    pub fn input(error: impl Into<anyhow::Error>) -> Self {
        Self::Input(error.into())
    }

    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Run(_) => ExitCode::from(1),
            Self::Input(_) => ExitCode::from(2),
            Self::Stopped { code, .. } => ExitCode::from(*code),
        }
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Run(error.into())
    }
}

impl fmt::Display for Failure {
    /// One line with the whole chain of causes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(error) | Self::Input(error) => write!(f, "{error:#}"),
            Self::Stopped { message, .. } => f.write_str(message),
        }
    }
}
