//! What commands need from a terminal: its text, and Ctrl-C.

/// The exit status of a program that Ctrl-C ended, as shells report it: 128 + SIGINT.
const EXIT_INTERRUPTED: i32 = 130;

/// Escapes the characters of a key that would control the terminal.
pub(crate) fn escape_control(key: &str) -> String {
    key.chars().map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() }).collect()
}

/// Returns a count with its noun: `1 photo`, `2 photos`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// Waits for Ctrl-C.
pub(crate) async fn ctrl_c() {
    // Without a handler no signal ever arrives, and only a kill ends the program.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Waits for Ctrl-C. The next one ends the program at once.
pub(crate) async fn ctrl_c_before_finishing() {
    ctrl_c().await;
    eprintln!("finishing the photos in progress; press Ctrl-C again to stop at once");
    tokio::spawn(async {
        ctrl_c().await;
        std::process::exit(EXIT_INTERRUPTED);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped_and_nothing_else() {
        assert_eq!(escape_control("a\u{1b}[2J é 🥝\n"), "a\\u{1b}[2J é 🥝\\n");
    }

    #[test]
    fn one_is_singular() {
        assert_eq!((counted(1, "part"), counted(0, "part")), ("1 part".into(), "0 parts".into()));
    }
}
