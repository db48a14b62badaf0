//! What must hold for any configuration. Compiled with the crate so that it can't fall behind it; run by the
//! fuzzer (`fuzz/`).

use std::path::Path;

use super::Config;
use super::environment::Environment;

/// Any text is either a usable configuration or one error that names the file. Reads no secrets, since the text may
/// name any file.
pub fn text(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let path = Path::new("sidecall.toml");
    let config = match Config::parse(text, path, &Environment::of_process()) {
        Ok(config) => config,
        Err(error) => {
            let said = error.to_string();
            assert!(said.starts_with("sidecall.toml: ") || said.starts_with("environment: "), "{said}");
            return;
        }
    };
    let checked = config.check(path);
    for pbx in config.pbx.iter().filter(|_| checked.is_ok()) {
        let (plan, endpoints) = (pbx.plan(), pbx.endpoints());
        for said in ["2125550100", "+12125550100", "1001", "0", "911", "acme-1001"] {
            let rules = plan.of(None);
            if let Ok(number) = rules.dialled(said) {
                let _ = (rules.dial(&number), rules.inner(&number));
            }
            let _ = rules.is_emergency(said);
            let _ = (rules.read(said), rules.outer(said), endpoints.read(said), plan.device(said, None, None));
        }
    }
}
