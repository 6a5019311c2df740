//! The application on redis-py, which `make test-clients` has, too.

use std::env;
use std::path::{Path, PathBuf};

use sentinel_tests::redis_py;

/// Where redis-py is, or would be, installed: in the folder of the build.
pub(crate) fn folder() -> PathBuf {
    let program = env::current_exe().expect("the running program has a path");
    let build = program.ancestors().nth(2).expect("a built program lies in the folder of a profile");
    redis_py::folder(build)
}

/// Installs it if it is not there. There is a network only outside the namespaces.
pub(crate) fn install() -> Result<(), String> {
    redis_py::install(&folder()).map_err(|error| error.to_string())
}

/// The program that writes to the master `name`.
pub(crate) fn application(name: &str, sentinels: &[String]) -> Result<Vec<String>, String> {
    if !folder().join("redis").is_dir() {
        return Err("it could not be installed".to_owned());
    }
    let script = Path::new(redis_py::SOURCES).join("redis_py_sync.py");
    let script = script.to_str().ok_or("the path of the script is not UTF-8")?;
    let mut program = vec!["python3".to_owned(), script.to_owned(), name.to_owned()];
    program.extend_from_slice(sentinels);
    Ok(program)
}
