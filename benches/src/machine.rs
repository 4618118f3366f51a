//! The machine the numbers are from.

use serde_json::{Value, json};

/// What of the machine matters to the numbers.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    /// Processors this process may use.
    pub(crate) cores: usize,
    /// Model of the first processor.
    pub(crate) cpu: String,
    /// Release of the kernel.
    pub(crate) kernel: String,
    /// Load averages at the end of the run, with what the bench itself caused.
    pub(crate) load: String,
}

impl Machine {
    /// Reads it from `/proc`; what cannot be read is `unknown`.
    pub(crate) fn read() -> Self {
        let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let known = |text: &str| match text.trim() {
            "" => "unknown".to_owned(),
            text => text.to_owned(),
        };
        let load = text("/proc/loadavg");
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            cpu: cpu_model(&text("/proc/cpuinfo")).unwrap_or_else(|| "unknown".to_owned()),
            kernel: known(&text("/proc/sys/kernel/osrelease")),
            load: known(&load.split(' ').take(3).collect::<Vec<_>>().join(" ")),
        }
    }

    /// One line for people.
    pub(crate) fn text(&self) -> String {
        format!("machine: {} x {}, Linux {}, load {}", self.cores, self.cpu, self.kernel, self.load)
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        json!({"cores": self.cores, "cpu": self.cpu, "kernel": self.kernel, "load": self.load})
    }
}

fn cpu_model(cpuinfo: &str) -> Option<String> {
    let (_, model) =
        cpuinfo.lines().filter_map(|line| line.split_once(':')).find(|(name, _)| name.trim() == "model name")?;
    Some(model.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_name_is_not_the_model_number() {
        let cpuinfo = "processor\t: 0\nmodel\t\t: 1\nmodel name\t: A  CPU @ 2 GHz\n";
        assert_eq!(cpu_model(cpuinfo).as_deref(), Some("A CPU @ 2 GHz"));
        assert_eq!(cpu_model("processor : 0\n"), None);
    }
}
