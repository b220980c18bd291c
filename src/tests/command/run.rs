//! Runs the built executable in a folder of its own, with no variable but those a test sets.

use std::{
    fmt,
    path::Path,
    process::{Command, Output, Stdio},
};

/// One folder in which commands are run.
pub struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file in the folder.
    pub fn file(&self, name: &str, content: &str) -> &Self {
        std::fs::write(self.path().join(name), content).unwrap();
        self
    }

    pub fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_userdata"));
        command.args(line.split(' ').filter(|word| !word.is_empty())).current_dir(self.path());
        command.env_clear().stdin(Stdio::null());
        command
    }

    pub fn run(&self, line: &str) -> Ran {
        self.run_with(line, &[])
    }

    pub fn run_with(&self, line: &str, variables: &[(&str, &str)]) -> Ran {
        let mut command = self.command(line);
        command.envs(variables.iter().copied());
        let output = command.output().unwrap();
        Ran { shown: format!("{command:?} in {}", self.path().display()), output }
    }
}

/// What became of a command. Printed, it tells everything that a failing test needs.
pub struct Ran {
    shown: String,
    output: Output,
}

impl Ran {
    #[track_caller]
    pub fn code(self, expected: i32) -> Self {
        assert_eq!(self.output.status.code(), Some(expected), "exit code of\n{self}");
        self
    }

    pub fn out(&self) -> String {
        String::from_utf8(self.output.stdout.clone()).unwrap()
    }

    pub fn err(&self) -> String {
        String::from_utf8(self.output.stderr.clone()).unwrap()
    }

    #[track_caller]
    pub fn out_has(self, text: &str) -> Self {
        assert!(self.out().contains(text), "no {text:?} on standard output of\n{self}");
        self
    }

    #[track_caller]
    pub fn err_has(self, text: &str) -> Self {
        assert!(self.err().contains(text), "no {text:?} on standard error of\n{self}");
        self
    }

    #[track_caller]
    pub fn out_empty(self) -> Self {
        assert!(self.output.stdout.is_empty(), "something on standard output of\n{self}");
        self
    }

    #[track_caller]
    pub fn err_empty(self) -> Self {
        assert!(self.output.stderr.is_empty(), "something on standard error of\n{self}");
        self
    }
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let (out, err) = (String::from_utf8_lossy(&self.output.stdout), String::from_utf8_lossy(&self.output.stderr));
        write!(f, "{}\n{}\n--- stdout\n{out}\n--- stderr\n{err}", self.shown, self.output.status)
    }
}
