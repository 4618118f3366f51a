//! What is named on the command line: a path of a working tree of this room, or a name.

use std::ffi::OsString;
use std::path::Path;

use stopgate_coordination::lease::{Claim, LeaseMode};
use stopgate_coordination::resource::{NotAResource, Resource};
use stopgate_coordination::room::{Place, resolve};
use stopgate_core::checkout;
use stopgate_core::text::one_line;
use stopgate_protocol::{ErrorCode, Failure};

use crate::printer;

/// Longest name that is repeated, in characters.
const MAX_SHOWN: usize = 200;

fn usage(message: String) -> Failure {
    Failure::new(ErrorCode::Usage, message)
}

/// The room and tree of a directory.
pub(super) fn place(cwd: &Path) -> Result<Place, Failure> {
    let place = Place::of(cwd).unwrap_or_else(|| Place::alone(cwd));
    match (place.room.to_str(), place.tree.to_str()) {
        (Some(_), Some(_)) => Ok(place),
        _ => Err(usage(format!("{}: its name is not UTF-8, which no lease can be of", cwd.display()))),
    }
}

/// What `resources` mean, named in `cwd`.
pub(super) fn of(resources: &[OsString], mode: LeaseMode, cwd: &Path, here: &Place) -> Result<Vec<Claim>, Failure> {
    let claims = resources.iter().map(|resource| claim(resource, mode, cwd, here));
    let mut claims = claims.collect::<Result<Vec<Claim>, Failure>>()?;
    claims.sort();
    claims.dedup();
    Ok(claims)
}

fn claim(resource: &OsString, mode: LeaseMode, cwd: &Path, here: &Place) -> Result<Claim, Failure> {
    // A name may have what a terminal obeys, and be as long as it likes.
    let shown = one_line(&resource.to_string_lossy(), MAX_SHOWN);
    let not_one = |why: NotAResource| usage(format!("{shown}: {why}"));
    let text = resource.to_str().ok_or_else(|| usage(format!("{shown}: is not UTF-8, which no lease can be of")))?;
    if text.is_empty() {
        return Err(not_one(NotAResource::Empty));
    }
    if text.starts_with('@') {
        if cwd.join(text).symlink_metadata().is_ok() {
            printer::note(format!("note: {shown} is a name, and no file; the file here is ./{shown}"));
        }
        return Ok(Claim { resource: text.parse().map_err(not_one)?, tree: None, mode });
    }
    let (path, is_tree) = if text == "/" { (here.tree.clone(), true) } else { (resolve(&cwd.join(text)), false) };
    let place = Place::of_among(&path, [here]).filter(|place| place.room == here.room);
    let outside = || usage(format!("{shown}: is not in this room ({})", here.room.display()));
    let place = place.ok_or_else(|| match Place::of(&path) {
        // A submodule, or another repository that lies in this one or elsewhere.
        Some(other) if checkout::find(&other.tree).is_some() => {
            let top = other.tree.display();
            outside().with_remedy(format!("it is in a repository of its own: `cd {top}`, and ask there"))
        }
        _ => outside(),
    })?;
    let relative = path.strip_prefix(&place.tree).map_err(|_| outside())?;
    let relative =
        relative.to_str().ok_or_else(|| usage(format!("{shown}: is not UTF-8, which no lease can be of")))?;
    if place.tree.to_str().is_none() {
        return Err(usage(format!("{shown}: its working tree is not UTF-8, which no lease can be of")));
    }
    let resource = if is_tree || relative.is_empty() {
        Resource::tree()
    } else {
        Resource::of_path(relative, text.ends_with('/') || path.is_dir()).map_err(not_one)?
    };
    Ok(Claim { resource, tree: Some(place.tree), mode })
}
