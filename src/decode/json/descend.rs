//! The way into an array of records inside a document, and out of it again.

use super::pull::Pull;
use super::token::{Malformed, Value};

/// In the place of the last key of a path: whichever key an array is under.
pub(super) const ANY_KEY: &str = "*";

/// Enters the array to which `path` leads. `false`: the document, which is behind then, has none.
pub(super) fn find_array(pull: &mut Pull<'_>, path: &[String]) -> Result<bool, Malformed> {
    let value = pull.value()?;
    let Some((name, path)) = path.split_first() else {
        if value == Value::Array {
            return Ok(true);
        }
        pull.skip_rest(value)?;
        return Ok(false);
    };
    if value != Value::Object {
        pull.skip_rest(value)?;
        return Ok(false);
    }
    if name == ANY_KEY {
        while pull.key()?.is_some() {
            match pull.value()? {
                Value::Array => return Ok(true),
                other => pull.skip_rest(other)?,
            }
        }
        return Ok(false);
    }
    let mut found = false;
    while let Some(key) = pull.key()? {
        if found || !key.is(name.as_bytes()) {
            pull.skip()?;
        } else if find_array(pull, path)? {
            return Ok(true);
        } else {
            found = true;
        }
    }
    Ok(false)
}

/// Leaves the objects around the array. `false`: a key of the path comes again, so that there may
/// be another array.
pub(super) fn close(pull: &mut Pull<'_>, path: &[String]) -> Result<bool, Malformed> {
    let mut once = true;
    for name in path.iter().rev() {
        while let Some(key) = pull.key()? {
            if name == ANY_KEY {
                let value = pull.value()?;
                once &= value != Value::Array;
                pull.skip_rest(value)?;
            } else {
                once &= !key.is(name.as_bytes());
                pull.skip()?;
            }
        }
    }
    Ok(once)
}
