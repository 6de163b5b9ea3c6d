//! An S3 server of another project, which runs for the duration of one test.

use std::collections::HashSet;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The variable with the folder of the virtual environments `localstack` and `moto`, as set by
/// `tests/run`.
const TOOLS: &str = "FRUITVEC_TEST_TOOLS";
const START_TIMEOUT: Duration = Duration::from_secs(120);

/// A server in a new process group. Dropping it kills the whole group, even when the test fails.
pub(crate) struct StandIn {
    child: Child,
    port: u16,
    /// The working directory of the server.
    folder: tempfile::TempDir,
}

impl StandIn {
    /// Starts LocalStack with its S3.
    pub(crate) fn localstack() -> Self {
        let port = free_port();
        let mut command = python("localstack");
        command.args(["-m", "localstack.runtime.main"]);
        command.env("GATEWAY_LISTEN", format!("127.0.0.1:{port}")).env("S3_SKIP_SIGNATURE_VALIDATION", "0");
        for name in ["DISABLE_EVENTS", "SKIP_SSL_CERT_DOWNLOAD", "DISABLE_CORS_HEADERS"] {
            command.env(name, "1");
        }
        command.env("USE_SSL", "0").env("DNS_ADDRESS", "0").env("SERVICES", "s3,sqs");
        Self::start(command, port, "/_localstack/health")
    }

    /// Starts moto.
    pub(crate) fn moto() -> Self {
        let port = free_port();
        let mut command = python("moto");
        command.args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()]);
        Self::start(command, port, "/moto-api/data.json")
    }

    /// Returns the URL of the server.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn start(mut command: Command, port: u16, health: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = fs::File::create(folder.path().join("log")).unwrap();
        command.current_dir(folder.path()).env("FILESYSTEM_ROOT", folder.path()).process_group(0);
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let mut server = Self { child: command.spawn().unwrap(), port, folder };
        let deadline = Instant::now() + START_TIMEOUT;
        while !server.is_ready(health) {
            let ended = server.child.try_wait().unwrap();
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "the server did not start ({ended:?}): {}",
                server.log()
            );
            std::thread::sleep(Duration::from_millis(200));
        }
        assert!(server.owns_its_port(), "another process listens on port {port}");
        server
    }

    fn is_ready(&self, health: &str) -> bool {
        TcpStream::connect(("127.0.0.1", self.port)).is_ok()
            && ureq::get(format!("{}{health}", self.endpoint())).call().is_ok()
    }

    /// Returns whether all sockets that listen on the port belong to this process group. Two
    /// servers can share a port silently, and the wrong one could respond.
    fn owns_its_port(&self) -> bool {
        let group = self.child.id();
        let own: HashSet<_> =
            processes().filter(|id| group_of(*id) == Some(group)).flat_map(sockets).collect();
        let listening = listeners(self.port);
        !listening.is_empty() && listening.iter().all(|socket| own.contains(socket))
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        let group = format!("-{}", self.child.id());
        let killed = Command::new("kill").args(["-KILL", "--", &group]).status();
        if !killed.is_ok_and(|status| status.success()) {
            eprintln!("process group {group} could not be killed");
        }
        drop(self.child.wait());
    }
}

fn python(tool: &str) -> Command {
    let tools = std::env::var_os(TOOLS).unwrap_or_else(|| panic!("{TOOLS} is not set: tests/run sets it"));
    Command::new(PathBuf::from(tools).join(tool).join("bin/python"))
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn processes() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// Returns the process group from the fifth field of `stat`. It is the third after the name, which
/// may contain spaces and parentheses.
fn group_of(process: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(2)?.parse().ok()
}

/// Returns the inodes of a process's sockets.
fn sockets(process: u32) -> Vec<String> {
    let Ok(files) = fs::read_dir(Path::new("/proc").join(process.to_string()).join("fd")) else {
        return Vec::new();
    };
    let inode = |link: PathBuf| Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned());
    files.filter_map(|file| inode(fs::read_link(file.ok()?.path()).ok()?)).collect()
}

/// Returns the inodes, in the tenth field, of the sockets that listen on a port. State 0A is
/// LISTEN.
fn listeners(port: u16) -> Vec<String> {
    let tables =
        ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| fs::read_to_string(table).unwrap_or_default());
    let lines = tables.iter().flat_map(|table| table.lines().skip(1));
    let fields = lines.map(|line| line.split_whitespace().collect::<Vec<_>>());
    let end = format!(":{port:04X}");
    fields
        .filter(|fields| fields.len() > 9 && fields[1].ends_with(&end) && fields[3] == "0A")
        .map(|fields| fields[9].to_owned())
        .collect()
}
