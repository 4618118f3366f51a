//! Which commands that run in the background come to no end by themselves: a server, a watcher, a tail. Nothing of theirs
//! wakes a session; everything else does when it is done.

/// Words of a package script that serves or watches, whoever runs it: `npm run dev`, `pnpm start:web`.
const SCRIPTS: [&str; 7] = ["dev", "start", "serve", "watch", "preview", "storybook", "develop"];
/// Who runs such scripts.
const RUNNERS: [&str; 6] = ["npm", "pnpm", "yarn", "bun", "deno", "just"];
/// Words that are said before a command and are not it. What `timeout` runs has an end.
const WRAPPERS: [&str; 15] = [
    "sudo", "nohup", "exec", "env", "time", "nice", "stdbuf", "setsid", "npx", "bunx", "pnpx", "uvx", "uv", "poetry",
    "pipenv",
];
/// Programs that serve or watch until somebody ends them.
const SERVERS: [&str; 34] = [
    "uvicorn",
    "gunicorn",
    "hypercorn",
    "daphne",
    "puma",
    "nodemon",
    "http-server",
    "live-server",
    "json-server",
    "webpack-dev-server",
    "browser-sync",
    "serve",
    "bacon",
    "air",
    "watchexec",
    "entr",
    "fswatch",
    "watch",
    "ngrok",
    "redis-server",
    "mongod",
    "mysqld",
    "postgres",
    "memcached",
    "nginx",
    "caddy",
    "mailpit",
    "mailhog",
    "jupyter-lab",
    "jupyter-notebook",
    "code-server",
    "ts-node-dev",
    "chokidar",
    "hivemind",
];
/// A program, and a word after it with which it serves or watches.
const SERVING: [(&str, &str); 47] = [
    ("next", "dev"),
    ("next", "start"),
    ("nuxt", "dev"),
    ("astro", "dev"),
    ("remix", "dev"),
    ("vite", "dev"),
    ("vite", "preview"),
    ("vite", "serve"),
    ("gatsby", "develop"),
    ("ng", "serve"),
    ("vue-cli-service", "serve"),
    ("react-scripts", "start"),
    ("expo", "start"),
    ("webpack", "serve"),
    ("storybook", "dev"),
    ("wrangler", "dev"),
    ("netlify", "dev"),
    ("vercel", "dev"),
    ("firebase", "emulators:start"),
    ("supabase", "start"),
    ("turbo", "dev"),
    ("nx", "serve"),
    ("flask", "run"),
    ("fastapi", "dev"),
    ("fastapi", "run"),
    ("streamlit", "run"),
    ("jupyter", "lab"),
    ("jupyter", "notebook"),
    ("celery", "worker"),
    ("mkdocs", "serve"),
    ("rails", "s"),
    ("rails", "server"),
    ("jekyll", "serve"),
    ("hugo", "server"),
    ("hugo", "serve"),
    ("artisan", "serve"),
    ("symfony", "serve"),
    ("mix", "phx.server"),
    ("cargo", "watch"),
    ("trunk", "serve"),
    ("mdbook", "serve"),
    ("dotnet", "watch"),
    ("stripe", "listen"),
    ("cloudflared", "tunnel"),
    ("kubectl", "port-forward"),
    ("inotifywait", "-m"),
    ("sleep", "infinity"),
];
/// Programs that go on following what they show with one of these words.
const FOLLOWING: [(&str, &[&str]); 5] = [
    ("tail", &["-f", "-F", "--follow", "-fn"]),
    ("journalctl", &["-f", "--follow"]),
    ("docker", &["-f", "--follow"]),
    ("kubectl", &["-f", "--follow", "-w", "--watch"]),
    ("dmesg", &["-w", "--follow"]),
];
/// Words with which any program watches or serves.
const FLAGS: [&str; 3] = ["--watch", "--watchAll", "--serve"];
/// Programs that end whatever they are given: with a limit, or when what they watch is over (`gh pr checks --watch`).
const ENDING: [&str; 9] = ["timeout", "gtimeout", "echo", "printf", "grep", "git", "gh", "glab", "kill"];
/// Loops without an end.
const LOOPS: [&str; 4] = ["while true", "while :", "while sleep", "until false"];

/// Whether `command` surely comes to no end by itself: its last part is a server, a watcher or a tail, or a loop without an
/// end. Unknown commands end. Linear in the length of `command`.
pub fn runs_for_ever(command: &str) -> bool {
    if LOOPS.iter().any(|begin| command.trim_start().starts_with(begin)) {
        return !command.contains("break") && !command.contains("exit");
    }
    // What stands before `&&` or `;` is done first; several that run side by side are over with the last of them.
    let parts = command.split(['\n', ';', '&', '|']).map(str::trim).filter(|part| !part.is_empty());
    parts.into_iter().any(serves)
}

/// Whether one simple command serves or watches.
fn serves(part: &str) -> bool {
    let words: Vec<&str> = part.split_whitespace().map(|word| word.trim_matches(['"', '\'', '(', ')'])).collect();
    let is_assignment = |word: &str| word.split_once('=').is_some_and(|(name, _)| !name.starts_with('-'));
    let is_before = |word: &&str| is_assignment(word) || WRAPPERS.contains(&name_of(word)) || *word == "run";
    let begin = words.iter().take_while(|word| is_before(word)).count();
    let Some((program, rest)) = words[begin..].split_first() else { return false };
    let program = name_of(program);
    let has = |wanted: &str| rest.contains(&wanted);
    let script = |word: &&&str| !word.starts_with('-') && **word != "run" && **word != "run-script";
    let is_serving_script = |word: &str| SCRIPTS.iter().any(|name| word.split([':', '-']).next() == Some(name));
    if ENDING.contains(&program) || program == "kubectl" && has("rollout") {
        return false;
    }
    SERVERS.contains(&program)
        || SERVING.iter().any(|(name, word)| (*name == program || has(name)) && has(word))
        || FOLLOWING.iter().any(|(name, words)| *name == program && words.iter().any(|word| has(word)))
        || FLAGS.iter().any(|flag| has(flag))
        || RUNNERS.contains(&program) && rest.iter().find(script).is_some_and(|word| is_serving_script(word))
        || program.starts_with("python") && (has("http.server") || has("runserver"))
        || matches!(program, "vite" | "parcel") && !has("build")
        || matches!(program, "vitest" | "tsc") && (has("-w") || has("watch"))
        || program == "php" && has("-S")
        || program == "ssh" && rest.iter().any(|word| word.starts_with("-N") || word.starts_with("-fN"))
        || matches!(program, "docker" | "docker-compose" | "podman") && has("up") && !has("-d") && !has("--detach")
        || matches!(program, "gradlew" | "gradle" | "mvn" | "mvnw")
            && (has("bootRun") || has("spring-boot:run") || has("quarkus:dev") || has("quarkusDev"))
        || matches!(program, "node" | "deno" | "bun" | "python" | "python3" | "ruby" | "tsx" | "ts-node")
            && rest.iter().find(script).is_some_and(|word| is_server_file(word))
}

/// The name of a program, without its directory.
fn name_of(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

/// Whether a program's file is named as one that serves.
fn is_server_file(path: &str) -> bool {
    let stem = name_of(path).split('.').next().unwrap_or_default();
    matches!(stem, "server" | "devserver" | "dev-server" | "serve")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_watchers_and_tails_come_to_no_end() {
        for command in [
            "npm run dev",
            "cd web && npm run dev -- --port 3001",
            "PORT=3000 pnpm dev",
            "yarn start",
            "npm run start:api 2>&1 | tee /tmp/api.log",
            "npx vite",
            "npx vite --host > vite.log 2>&1 &",
            "next dev -p 4000",
            "python3 -m http.server 8000",
            "python manage.py runserver 0.0.0.0:8000",
            "uv run uvicorn app.main:app --reload",
            "poetry run flask run",
            "bin/rails s -p 3001",
            "bundle exec rails server",
            "php artisan serve",
            "php -S localhost:8000",
            "cargo watch -x test",
            "tsc -w",
            "jest --watch",
            "tail -f log/development.log",
            "tail -n 50 -F /var/log/x | grep ERROR",
            "docker compose up",
            "docker compose -f dev.yml logs -f web",
            "kubectl port-forward svc/db 5432:5432",
            "journalctl -u app -f",
            "nohup node server.js",
            "ssh -N -L 5432:db:5432 bastion",
            "watch -n 5 kubectl get pods",
            "while true; do ./poll.sh; sleep 5; done",
            "sleep infinity",
            "./gradlew bootRun",
            "sudo nginx -g 'daemon off;'",
        ] {
            assert!(runs_for_ever(command), "{command}");
        }
    }

    #[test]
    fn what_ends_wakes_and_what_is_not_known_ends() {
        for command in [
            "",
            "cargo test --workspace",
            "sleep 5; echo stop here please",
            "npm test",
            "npm run build",
            "npm ci && npm run test:e2e",
            "npx vite build",
            "timeout 600 npm run dev",
            "docker compose up -d",
            "docker build -t app .",
            "git push origin serve",
            "python train.py --epochs 20",
            "node build.js",
            "make -j8",
            "grep -r watch src",
            "echo npm run dev",
            "until curl -sf localhost:3000; do sleep 1; done",
            "while true; do curl -sf localhost && break; sleep 1; done",
            "gh run watch 123 --exit-status",
            "gh pr checks --watch",
            "kubectl rollout status deploy/web --watch",
            "terraform apply",
            "tail -n 100 build.log",
            "./run-benchmarks.sh",
        ] {
            assert!(!runs_for_ever(command), "{command}");
        }
    }
}
