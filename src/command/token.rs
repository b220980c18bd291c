//! `token`: makes, lists and removes the server's access tokens, in the file that a running server reads again.

use super::{Exit, output};
use crate::{
    cli::{Token as Asked, TokenAdd},
    config::{ADMIN, Server, Token, TokenFile, sha256},
    error::{Error, Result},
    web,
};

pub fn run(server: &Server, asked: &Asked) -> Result<Exit> {
    let file = TokenFile { path: server.tokens_file.clone() };
    match asked {
        Asked::Add(asked) => add(server, &file, asked)?,
        Asked::List => list(server, &file)?,
        Asked::Remove { name } => {
            if configured(server).iter().any(|(known, _)| known == name) {
                let text = format!("the token \"{name}\" stands in the configuration");
                return Err(Error::fatal("usage", text).next("remove it there, and start the server again"));
            }
            file.remove(name)?;
            output::message(format_args!("removed; a running server refuses it within a second"));
        }
    }
    Ok(Exit::Done)
}

fn add(server: &Server, file: &TokenFile, asked: &TokenAdd) -> Result<()> {
    if configured(server).iter().any(|(name, _)| *name == asked.name) {
        let text = format!("the configuration has a token \"{}\" already", asked.name);
        return Err(Error::fatal("usage", text).next("choose another name"));
    }
    let first = configured(server).is_empty() && file.read()?.is_empty();
    let token = web::new_token();
    file.add(Token { name: asked.name.clone(), sha256: sha256(&token), role: asked.role })?;
    // Standard output has the token alone, so that scripts can keep it.
    output::line(&token)?;
    output::message(format_args!("shown once, kept in {} as a hash only", file.path.display()));
    if first {
        output::message(format_args!("it is the first: from now on every request to this server needs a token"));
    }
    Ok(())
}

fn list(server: &Server, file: &TokenFile) -> Result<()> {
    let mut tokens: Vec<_> = configured(server).into_iter().map(|token| (token, "configuration".to_owned())).collect();
    let place = file.path.display().to_string();
    tokens.extend(file.read()?.into_iter().map(|token| ((token.name, token.role.to_string()), place.clone())));
    if tokens.is_empty() {
        output::message("no tokens; make one with: userdata token add NAME --role admin");
    }
    for ((name, role), place) in tokens {
        output::line(format_args!("{role:<6}  {name}  ({place})"))?;
    }
    Ok(())
}

/// Name and role of those that the configuration holds.
fn configured(server: &Server) -> Vec<(String, String)> {
    let admin = server.admin_token.as_ref().map(|_| (ADMIN.to_owned(), "admin".to_owned()));
    let listed = server.tokens.iter().map(|token| (token.name.clone(), token.role.to_string()));
    admin.into_iter().chain(listed).collect()
}
