//! The API's description: it is whole, it has every route, and the server answers as it says.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::harness::{Server, USERS, eventually};

const METHODS: [&str; 7] = ["get", "put", "post", "patch", "delete", "head", "options"];
/// Files of the page, which are no part of the API.
const PAGE: [&str; 2] = ["/", "/example.csv"];

/// What a server says of itself.
pub struct Description(Value);

impl Description {
    pub async fn of(server: &Server) -> Self {
        let (status, description) = server.get("/openapi.json").await;
        assert_eq!(status, 200);
        Self(description)
    }

    /// Method, path and operation of each.
    fn operations(&self) -> Vec<(&str, &str, &Value)> {
        let paths = self.0["paths"].as_object().unwrap().iter();
        let each = paths.flat_map(|(path, item)| {
            let methods = item.as_object().unwrap().iter().filter(|(name, _)| METHODS.contains(&name.as_str()));
            methods.map(move |(method, operation)| (method.as_str(), path.as_str(), operation))
        });
        each.collect()
    }

    fn operation(&self, method: &str, path: &str) -> Option<&Value> {
        self.0["paths"].get(path)?.get(method.to_lowercase())
    }

    /// That a route may answer so. A path may have a query, and a name where the description has an id.
    pub fn assert_documents(&self, method: &str, path: &str, status: u16) {
        let path = path.split('?').next().unwrap();
        let path = if method == "PUT" && path.starts_with("/uploads/") { "/uploads/{id}" } else { path };
        let Some(operation) = self.operation(method, path) else {
            assert!(
                PAGE.contains(&path) || matches!(status, 401 | 403 | 404 | 405),
                "{method} {path} is not described"
            );
            return;
        };
        assert!(operation["responses"].get(status.to_string()).is_some(), "{method} {path} answers {status} unsaid");
    }

    fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        match schema["$ref"].as_str() {
            Some(place) => self.0.pointer(place.strip_prefix('#').unwrap()).unwrap_or_else(|| panic!("no {place}")),
            None => schema,
        }
    }

    /// That a value is as a schema says, and has nothing that it does not say.
    fn assert_fits(&self, value: &Value, schema: &Value, place: &str) {
        if let Some(misfit) = self.misfit(value, schema, place) {
            panic!("{misfit}: {value}");
        }
    }

    fn misfit(&self, value: &Value, schema: &Value, place: &str) -> Option<String> {
        let schema = self.resolve(schema);
        if let Some(any) = schema["oneOf"].as_array() {
            let misfits: Vec<_> = any.iter().map(|one| self.misfit(value, one, place)).collect();
            return if misfits.contains(&None) { None } else { misfits.into_iter().flatten().last() };
        }
        if schema["allOf"].is_array() || schema["properties"].is_object() {
            let Some(object) = value.as_object() else { return Some(format!("{place} is no object")) };
            let mut known = Vec::new();
            self.properties(schema, value, &mut known);
            if let Some(strange) = object.keys().find(|name| !known.iter().any(|(known, ..)| known == name)) {
                return Some(format!("{place}.{strange} is not described"));
            }
            let mut each = known.iter().map(|(name, of, required)| match object.get(*name) {
                Some(value) => self.misfit(value, of, &format!("{place}.{name}")),
                None => required.then(|| format!("{place}.{name} is missing")),
            });
            return each.find_map(|misfit| misfit);
        }
        if let (Some(items), Some(values)) = (schema.get("items").filter(|items| items.is_object()), value.as_array()) {
            return values.iter().find_map(|value| self.misfit(value, items, &format!("{place}[]")));
        }
        let is = |name: &Value| match name.as_str().unwrap() {
            "string" => value.is_string(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            "boolean" => value.is_boolean(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            "null" => value.is_null(),
            other => panic!("{place}: what is {other}?"),
        };
        let right = match &schema["type"] {
            Value::Array(names) => names.iter().any(is),
            Value::Null => true,
            name => is(name),
        };
        let listed = schema["enum"].as_array().is_none_or(|values| values.contains(value));
        (!right || !listed).then(|| format!("{place} is not of {schema}"))
    }

    /// Names, schemas, and whether they are needed, with those of all parts.
    fn properties<'a>(&'a self, schema: &'a Value, value: &Value, known: &mut Vec<(&'a str, &'a Value, bool)>) {
        let schema = self.resolve(schema);
        for part in schema["allOf"].as_array().into_iter().flatten() {
            self.properties(part, value, known);
        }
        // Of several forms the one that the value has, or none where it may be left out.
        for form in schema["oneOf"].as_array().into_iter().flatten() {
            let names = self.resolve(form)["properties"].as_object();
            if names.is_some_and(|names| names.keys().all(|name| value.get(name).is_some())) {
                self.properties(form, value, known);
            }
        }
        let required: BTreeSet<_> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let properties = schema["properties"].as_object().into_iter().flatten();
        known.extend(properties.map(|(name, of)| (name.as_str(), of, required.contains(name.as_str()))));
    }

    /// That an answer is as the description has it.
    fn assert_answers(&self, method: &str, path: &str, status: u16, answer: &Value) {
        self.assert_documents(method, path, status);
        let media_type = if status < 400 { "application/json" } else { "application/problem+json" };
        let path = path.split('?').next().unwrap();
        let operation = self.operation(method, path).unwrap();
        let schema = &operation["responses"][status.to_string()]["content"][media_type]["schema"];
        assert!(schema.is_object(), "{method} {path} {status} has no schema: {operation}");
        self.assert_fits(answer, schema, path);
    }
}

#[tokio::test]
async fn the_description_is_whole() {
    let server = Server::start().await;
    let description = Description::of(&server).await;
    assert!(description.0["openapi"].as_str().unwrap().starts_with("3.1"), "{}", description.0["openapi"]);
    let mut ids = BTreeSet::new();
    for (method, path, operation) in description.operations() {
        assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{method} {path} has another one's id");
        assert!(operation["summary"].as_str().is_some_and(|text| !text.starts_with('`')), "{method} {path}");
        assert!(operation["tags"][0].is_string(), "{method} {path}");
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.keys().any(|status| status.starts_with('2')), "{method} {path}");
        assert!(responses.values().all(|response| response["description"] != ""), "{method} {path}");
        assert!(responses.values().all(|response| response["description"].is_string()), "{method} {path}");
        for name in path.split('{').skip(1).map(|rest| rest.split('}').next().unwrap()) {
            let parameters = operation["parameters"].as_array().unwrap();
            let named = |parameter: &Value| parameter["name"] == name && parameter["in"] == "path";
            assert!(parameters.iter().any(named), "{method} {path} does not say what {name} is");
        }
    }
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(object) => {
                found.extend(object.get("$ref").and_then(Value::as_str));
                object.values().for_each(|value| references(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    references(&description.0, &mut found);
    assert!(found.len() > 20);
    for place in found {
        assert!(description.0.pointer(place.strip_prefix('#').unwrap()).is_some(), "there is no {place}");
    }
}

#[tokio::test]
async fn every_route_is_described_and_every_description_has_its_route() {
    let server = Server::start().await;
    let description = Description::of(&server).await;
    let id = server.upload("a.csv", USERS).await.to_string();
    let documented = description.operations();
    assert!(documented.len() >= 20, "{}", documented.len());
    for (method, path, _) in &documented {
        let url = server.url(&path.replace("{id}", &id));
        let answer = server.client.request(method.to_uppercase().parse().unwrap(), url).send().await.unwrap();
        let status = answer.status().as_u16();
        assert_ne!(status, 405, "{method} {path}");
        description.assert_documents(&method.to_uppercase(), path, status);
    }
    // Whoever adds a route to the router adds it to the description: there is no other way in that file.
    assert!(!include_str!("../../web/routes.rs").contains(".route("));
    for line in include_str!("../../../README.md").lines() {
        let Some(route) = line.strip_prefix("| `").and_then(|line| line.split('`').next()) else { continue };
        let Some((method, path)) = route.split_once(' ').filter(|(_, path)| path.starts_with('/')) else { continue };
        let path = path.split('?').next().unwrap().replace("{filename}", "{id}");
        let described = description.operation(method, &path).is_some() || PAGE.contains(&path.as_str());
        assert!(described, "the README has {method} {path}, the description has not");
    }
}

#[tokio::test]
async fn answers_are_as_they_are_described() {
    let server = Server::start().await;
    let description = Description::of(&server).await;
    let (status, view) = server.put("/uploads/a.csv", USERS).await;
    description.assert_answers("PUT", "/uploads/{id}", status, &view);
    let id: userdata::upload::UploadId = view["id"].as_str().unwrap().parse().unwrap();
    eventually("the ledger has it", async || server.store.upload(id).await.unwrap().is_some()).await;
    let nobody = userdata::upload::UploadId::new();
    for (path, status) in [
        ("/uploads/{id}", 200),
        ("/uploads", 200),
        ("/uploads?state=open", 200),
        ("/uploads?state=lost", 400),
        ("/uploads/{id}/events", 200),
        ("/uploads/{id}/receipt", 404),
        ("/uploads/{id}/rejects", 404),
        ("/uploads/{id}/rejects/sample", 404),
        ("/session", 200),
        ("/livez", 200),
        ("/readyz", 200),
    ] {
        let (answered, answer) = server.get(&path.replace("{id}", &id.to_string())).await;
        assert_eq!(answered, status, "{path}: {answer}");
        description.assert_answers("GET", path, status, &answer);
    }
    let known = format!("/known?size={}", USERS.len());
    for (path, body, status) in [
        (known.as_str(), USERS, 200),
        ("/known?size=9", "x", 400),
        ("/preview?complete=true", USERS, 200),
        ("/preview", "nothing\nof,it\n", 422),
        ("/uploads/{id}/retry", "", 409),
        ("/uploads/{id}/again", "{\"zone\": \"Europe/Berlin\"}", 201),
        ("/uploads/{id}/cancel", "", 200),
        ("/uploads/{id}/cancel", "", 409),
        ("/uploads/{nobody}/cancel", "", 404),
    ] {
        let filled = path.replace("{id}", &id.to_string()).replace("{nobody}", &nobody.to_string());
        let (answered, mut answer) = server.post(&filled, body).await;
        assert_eq!(answered, status, "{path}: {answer}");
        if path == "/preview" && status == 422 {
            // What was found is beside the problem.
            assert!(answer.as_object_mut().unwrap().remove("found").is_some());
        }
        description.assert_answers("POST", &path.replace("{nobody}", "{id}"), status, &answer);
    }
    let (status, view) = server.get(&format!("/uploads/{id}")).await;
    description.assert_answers("GET", "/uploads/{id}", status, &view);
}
