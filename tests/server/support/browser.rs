//! Pages in a real browser.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// A browser, if this machine has one.
#[expect(clippy::print_stderr, reason = "a test that proves nothing says so")]
fn chromium() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
    let found = std::env::split_paths(&path)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|path| path.is_file());
    if found.is_none() {
        eprintln!("not checked: no chromium is installed: the HTML report in a browser");
    }
    found
}

/// The page as the browser has it after it ran what there is to run, and what it complained of.
fn rendered(browser: &Path, page: &Path, home: &Path) -> (String, String) {
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--enable-logging=stderr", "--v=0", "--dump-dom"])
        .arg(format!("--user-data-dir={}", home.join("browser").display()))
        .arg(format!("file://{}", page.display()))
        .output()
        .expect("the browser runs");
    let complaints = String::from_utf8_lossy(&output.stderr);
    let of_page = complaints.lines().filter(|line| line.contains("CONSOLE"));
    let of_page = of_page.collect::<Vec<_>>().join("\n");
    (String::from_utf8_lossy(&output.stdout).into_owned(), of_page)
}

/// Opens a report's page in a browser, if there is one: it complains of nothing, every number on it
/// is that of the JSON report, and the JSON that it carries is the report. Gives the page as the
/// browser has it.
pub fn opens(page: &Path, json: &Value, home: &Path) -> Option<String> {
    let browser = chromium()?;
    let (dom, complaints) = rendered(&browser, page, home);
    assert_eq!(complaints, "");
    let mut checked = 0;
    for part in dom.split("<data value=\"").skip(1) {
        let (value, rest) = part.split_once('"').expect("an attribute");
        let tag = rest.split_once('>').expect("an element").0;
        let Some((_, pointer)) = tag.split_once("data-json=\"") else { continue };
        let pointer = pointer.split_once('"').expect("an attribute").0;
        let found = json.pointer(pointer).unwrap_or_else(|| panic!("{pointer} is not there"));
        let (value, found) = (value.parse::<f64>().ok(), found.as_f64());
        let (value, found) = value.zip(found).unwrap_or_else(|| panic!("{pointer}: no number"));
        // Reading a number back may differ in its last bit.
        assert!((value - found).abs() <= found.abs() * 1e-12, "{pointer}: {value} {found}");
        checked += 1;
    }
    assert!(checked > 30, "{checked} numbers");
    let carried =
        dom.split_once("id=\"report\">").and_then(|(_, rest)| rest.split_once("</script>"));
    let carried = carried.expect("the page carries the report").0;
    let carried = serde_json::from_str::<Value>(carried).expect("JSON");
    assert_eq!(carried, *json, "the page carries another report");
    Some(dom)
}
