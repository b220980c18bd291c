//! `GET /openapi.json`: what this server understands and answers, in OpenAPI 3.1. Paths come from the routes themselves,
//! schemas from the types that are answered; here is what they share.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Extension,
    http::{StatusCode, header},
    response::IntoResponse,
};
use utoipa::{
    IntoParams, IntoResponses, Modify, OpenApi, PartialSchema, ToSchema,
    openapi::{
        ContentBuilder, RefOr, Required, Response, ResponseBuilder, Schema,
        header::Header,
        path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem},
        schema::{ObjectBuilder, Ref, SchemaType, Type},
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};

use crate::{rows::RowOptions, upload::UploadId};

/// Tags.
pub(super) const SENDING: &str = "sending";
pub(super) const UPLOADS: &str = "uploads";
pub(super) const SERVER: &str = "server";
pub(super) const TUS: &str = "tus";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "userdata",
        description = "Takes CSV files of users, archives them, cleans every row and stores each id once. \
                       Times are RFC 3339 in UTC, sizes bytes."
    ),
    components(schemas(Problem)),
    modifiers(&Access),
    tags(
        (name = SENDING, description = "Files on their way in"),
        (name = UPLOADS, description = "What became of them"),
        (name = TUS, description = "Resumable uploads by the protocol tus 1.0"),
        (name = SERVER, description = "The server itself"),
    )
)]
struct Shared;

/// The description before any route is in it.
pub(super) fn shared() -> utoipa::openapi::OpenApi {
    Shared::openapi()
}

/// A refusal (RFC 9457).
#[derive(ToSchema)]
#[expect(dead_code, reason = "it is what errors::Problem is written as; a test compares them")]
struct Problem {
    /// `about:blank`: what it is, `code` says.
    r#type: String,
    /// The status's name.
    title: String,
    status: u16,
    /// Stable, for programs: `column_not_found`.
    code: String,
    /// A sentence for people: what happened, and where.
    detail: String,
    /// What to do about it.
    next: Option<String>,
    /// The upload that it is about.
    upload: Option<UploadId>,
}

/// The ways to show a token.
struct Access;

impl Modify for Access {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let schemes = [
            ("bearer", SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build())),
            ("basic", SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Basic).build())),
            ("session", SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new(super::session::COOKIE)))),
        ];
        let components = api.components.get_or_insert_default();
        components.security_schemes.extend(schemes.map(|(name, scheme)| (name.to_owned(), RefOr::T(scheme))));
    }
}

/// Adds what is answered on the way to any route: to strangers, to hosts that are not ours, to bodies that do not come,
/// when all breaks.
pub(super) fn with_common(api: &mut utoipa::openapi::OpenApi, token_needed: bool) {
    let mut common = vec![StatusCode::FORBIDDEN, StatusCode::MISDIRECTED_REQUEST, StatusCode::INTERNAL_SERVER_ERROR];
    common.extend([StatusCode::BAD_REQUEST, StatusCode::UNAUTHORIZED, StatusCode::TOO_MANY_REQUESTS]);
    common.push(StatusCode::SERVICE_UNAVAILABLE);
    for operation in api.paths.paths.values_mut().flat_map(operations) {
        for (status, response) in &mut operation.responses.responses {
            if let RefOr::T(response) = response
                && response.description.is_empty()
            {
                response.description = name_of(status).into();
            }
        }
        let stalled = operation.request_body.as_ref().map(|_| StatusCode::REQUEST_TIMEOUT);
        for status in common.iter().chain(&stalled) {
            let response = || RefOr::T(refusal(*status));
            operation.responses.responses.entry(status.as_str().to_owned()).or_insert_with(response);
        }
        if token_needed {
            let any = ["bearer", "basic", "session"].map(|name| SecurityRequirement::new(name, [""; 0]));
            operation.security = Some(any.to_vec());
        }
    }
}

/// Of a status; what a response needs as description, where nothing more is to be said.
fn name_of(status: &str) -> &'static str {
    let status = StatusCode::from_bytes(status.as_bytes()).ok();
    status.and_then(|status| status.canonical_reason()).unwrap_or("Checksum Mismatch")
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, options, head, patch, .. } = item;
    [get, put, post, delete, options, head, patch].into_iter().filter_map(Option::as_mut)
}

/// A problem with this status.
fn refusal(status: StatusCode) -> Response {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    ResponseBuilder::new().description(name_of(status.as_str())).content("application/problem+json", content).build()
}

/// A refusal among a route's answers.
pub(super) struct Refusal<const STATUS: u16>;

pub(super) type BadRequest = Refusal<400>;
pub(super) type NotFound = Refusal<404>;
pub(super) type TimedOut = Refusal<408>;
pub(super) type Conflict = Refusal<409>;
pub(super) type OtherVersion = Refusal<412>;
pub(super) type TooLarge = Refusal<413>;
pub(super) type OtherType = Refusal<415>;
pub(super) type RangeNotSatisfiable = Refusal<416>;
pub(super) type Unprocessable = Refusal<422>;
pub(super) type Locked = Refusal<423>;
/// A number of the protocol tus.
pub(super) type WrongChecksum = Refusal<460>;
pub(super) type NoRoom = Refusal<507>;

impl<const STATUS: u16> IntoResponses for Refusal<STATUS> {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let status = StatusCode::from_u16(STATUS).unwrap_or_default();
        BTreeMap::from([(status.as_str().to_owned(), RefOr::T(refusal(status)))])
    }
}

/// The answer to who has it already.
pub(super) struct NotModified;

impl IntoResponses for NotModified {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let tag = Header::new(text());
        let response = ResponseBuilder::new().description("Not Modified").header("etag", tag).build();
        BTreeMap::from([("304".to_owned(), RefOr::T(response))])
    }
}

fn text() -> Schema {
    Schema::Object(ObjectBuilder::new().schema_type(SchemaType::Type(Type::String)).build())
}

/// The upload that a path names.
pub(super) struct UploadPath;

impl IntoParams for UploadPath {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let id = ParameterBuilder::new().name("id").parameter_in(ParameterIn::Path).required(Required::True);
        vec![id.description(Some("The upload's id.")).schema(Some(UploadId::schema())).build()]
    }
}

/// The version of the protocol tus.
pub(super) struct TusResumable;

impl IntoParams for TusResumable {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let version = ParameterBuilder::new().name("tus-resumable").parameter_in(ParameterIn::Header);
        vec![version.required(Required::True).description(Some("`1.0.0`")).schema(Some(text())).build()]
    }
}

/// The tag of an answer that the client has.
pub(super) struct IfNoneMatch;

impl IntoParams for IfNoneMatch {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let tag = ParameterBuilder::new().name("if-none-match").parameter_in(ParameterIn::Header);
        vec![tag.description(Some("The `etag` of the last answer.")).schema(Some(text())).build()]
    }
}

/// Row options in the query: as many as there are, each by its name.
pub(super) struct RowQuery;

impl IntoParams for RowQuery {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let RefOr::T(Schema::Object(options)) = RowOptions::schema() else { return Vec::new() };
        let describe = |schema: &RefOr<Schema>| match schema {
            RefOr::T(Schema::Object(object)) => object.description.clone(),
            RefOr::T(Schema::Array(array)) => array.description.clone(),
            RefOr::T(Schema::OneOf(one)) => one.description.clone(),
            _ => None,
        };
        let parameter = |(name, schema): (&String, &RefOr<Schema>)| {
            let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Query);
            // In an address every value is text.
            parameter.description(describe(schema)).schema(Some(text())).build()
        };
        options.properties.iter().map(parameter).collect()
    }
}

/// A form with a file; row options may stand before it, each a field.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a form is read field by field")]
pub(super) struct SentForm {
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
}

/// The original system's form.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a form is read field by field")]
pub(super) struct SentOriginalForm {
    #[schema(value_type = String, format = Binary)]
    csvdata: Vec<u8>,
}

/// This description.
#[utoipa::path(get, path = "/openapi.json", operation_id = "openapi", tag = SERVER,
    responses((status = 200, body = Object)))]
pub(super) async fn openapi(Extension(Document(text)): Extension<Document>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], text.to_string())
}

/// The whole description, as text.
#[derive(Clone)]
pub(super) struct Document(pub Arc<str>);
