//! What this crate exports, kept in `api.txt`, so that a change of it is seen: `UPDATE_API=1 cargo test -p sentinel-sdk --test api`.
//!
//! Read from the sources, since rustdoc tells it on nightly compilers alone. What macros of this crate make is listed as their calls.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use syn::{Attribute, Fields, ImplItem, Item, Meta, Type, UseTree, Visibility};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn the_public_interface_is_the_one_that_is_kept() {
    let sources = Path::new(ROOT).join("src");
    let mut modules = BTreeMap::new();
    read(&sources.join("lib.rs"), &sources, Vec::new(), &mut modules);
    let now = listing(&modules);
    // So that it cannot pass by finding nothing.
    for part in [
        "pub fn master(&self) -> Master",
        "pub async fn get(&self) -> Result<ExclusiveConnection, Error>",
        "NotSent",
        "connection_like_by_run!(Master)",
        "#[cfg(feature = \"metrics\")]",
    ] {
        assert!(now.contains(part), "`{part}` is missing in\n{now}");
    }
    let file = Path::new(ROOT).join("api.txt");
    if std::env::var_os("UPDATE_API").is_some_and(|update| update == "1") {
        fs::write(&file, &now).unwrap();
        return;
    }
    let kept = fs::read_to_string(&file).unwrap_or_default();
    let (before, after): (BTreeSet<_>, BTreeSet<_>) = (kept.lines().collect(), now.lines().collect());
    let mut changes = String::new();
    before.difference(&after).for_each(|line| writeln!(changes, "- {line}").unwrap());
    after.difference(&before).for_each(|line| writeln!(changes, "+ {line}").unwrap());
    assert!(
        kept == now,
        "the public interface is not what api.txt says:\n{changes}\
         A line that goes is a break: it needs a line in CHANGELOG.md and a new version. If all this is meant: UPDATE_API=1"
    );
}

/// A module of the crate, by its path.
struct Module {
    items: Vec<Item>,
    is_public: bool,
    attributes: Vec<String>,
}

type Modules = BTreeMap<Vec<String>, Module>;

/// Reads a file and the modules that it names. `folder` is where these lie.
fn read(file: &Path, folder: &Path, path: Vec<String>, modules: &mut Modules) {
    let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let items = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display())).items;
    for item in &items {
        let Item::Mod(module) = item else { continue };
        let attributes = attributes(&module.attrs);
        // Beside tests: what stands in for a feature that is off exports nothing.
        if module.content.is_some() || module.attrs.iter().any(|attribute| attribute.path().is_ident("path")) {
            continue;
        }
        let name = module.ident.to_string();
        let candidates: [PathBuf; 2] = [folder.join(format!("{name}.rs")), folder.join(&name).join("mod.rs")];
        let found = candidates.iter().find(|file| file.exists()).unwrap_or_else(|| panic!("no file for {name}"));
        let inner: Vec<_> = path.iter().cloned().chain([name.clone()]).collect();
        read(found, &folder.join(&name), inner.clone(), modules);
        let module_of = modules.get_mut(&inner).expect("it was just read");
        module_of.is_public = matches!(module.vis, Visibility::Public(_));
        module_of.attributes = attributes;
    }
    modules.insert(path, Module { items, is_public: true, attributes: Vec::new() });
}

/// What a type is called where: the module that defines it, and its name.
type Place = (Vec<String>, String);

fn listing(modules: &Modules) -> String {
    let mut lines = BTreeSet::new();
    // Where each exported thing is defined, and what it is called outside.
    let mut exported: BTreeMap<Place, String> = BTreeMap::new();
    for (path, module) in modules.iter().filter(|(path, _)| is_reachable(modules, path)) {
        let outside =
            |name: &str| [&["sentinel_sdk".to_owned()], path.as_slice(), &[name.to_owned()]].concat().join("::");
        for item in &module.items {
            match item {
                Item::Use(item) if is_public(&item.vis) => {
                    for (target, name) in uses(&item.tree, &[]) {
                        let target = absolute(&target, path);
                        let (of, original) = (target[..target.len() - 1].to_vec(), target[target.len() - 1].clone());
                        // Perhaps that module exports it from elsewhere itself.
                        let (of, original) =
                            if modules.contains_key(&of) { place(modules, &of, &original) } else { (of, original) };
                        let is_defined = modules.get(&of).is_some_and(|module| defines(module, &original));
                        if is_defined {
                            exported.insert((of, original), outside(&name));
                        } else {
                            let prefix = attributes(&item.attrs).concat();
                            lines.insert(format!("{}: {prefix}pub use {}", outside(&name), target.join("::")));
                        }
                    }
                }
                other => {
                    if let Some(name) = public_name(other) {
                        exported.insert((path.clone(), name.clone()), outside(&name));
                    }
                }
            }
        }
        if !path.is_empty() {
            let name = [&["sentinel_sdk".to_owned()], path.as_slice()].concat().join("::");
            lines.insert(format!("{name}: {}pub mod", module.attributes.concat()));
        }
    }
    for (path, module) in modules {
        for item in &module.items {
            if let Some(name) = public_name(item)
                && let Some(outside) = exported.get(&(path.clone(), name))
            {
                lines.extend(declaration(item).into_iter().map(|line| format!("{outside}: {line}")));
            }
            match item {
                Item::Impl(item) if !is_test(&item.attrs) => {
                    if let Some(outside) =
                        type_name(&item.self_ty).and_then(|name| exported.get(&place(modules, path, &name)))
                    {
                        let of_module = module.attributes.concat();
                        lines.extend(
                            implementation(item).into_iter().map(|line| format!("{outside}: {of_module}{line}")),
                        );
                    }
                }
                Item::Macro(item) if item.ident.is_none() && !item.mac.path.is_ident("thread_local") => {
                    let name = [&["sentinel_sdk".to_owned()], path.as_slice()].concat().join("::");
                    let call = without_docs(&one_line(Item::Macro(item.clone())));
                    lines.insert(format!("{name}: {call}"));
                }
                _ => {}
            }
        }
    }
    lines.into_iter().fold(String::new(), |text, line| text + &line + "\n")
}

fn is_reachable(modules: &Modules, path: &[String]) -> bool {
    (0..=path.len()).all(|end| modules.get(&path[..end]).is_some_and(|module| module.is_public))
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| shown(attribute).contains("test"))
}

fn public_name(item: &Item) -> Option<String> {
    let (visibility, name) = match item {
        Item::Struct(item) => (&item.vis, &item.ident),
        Item::Enum(item) => (&item.vis, &item.ident),
        Item::Trait(item) => (&item.vis, &item.ident),
        Item::Type(item) => (&item.vis, &item.ident),
        Item::Const(item) => (&item.vis, &item.ident),
        Item::Static(item) => (&item.vis, &item.ident),
        Item::Fn(item) => (&item.vis, &item.sig.ident),
        _ => return None,
    };
    is_public(visibility).then(|| name.to_string())
}

fn defines(module: &Module, name: &str) -> bool {
    module.items.iter().any(|item| public_name(item).as_deref() == Some(name))
}

/// Each name that a `use` brings, and from where.
fn uses(tree: &UseTree, before: &[String]) -> Vec<(Vec<String>, String)> {
    let with = |name: String| before.iter().cloned().chain([name]).collect::<Vec<_>>();
    match tree {
        UseTree::Path(path) => uses(&path.tree, &with(path.ident.to_string())),
        UseTree::Name(name) => vec![(with(name.ident.to_string()), name.ident.to_string())],
        UseTree::Rename(rename) => vec![(with(rename.ident.to_string()), rename.rename.to_string())],
        UseTree::Group(group) => group.items.iter().flat_map(|tree| uses(tree, before)).collect(),
        UseTree::Glob(_) => vec![(with("*".to_owned()), "*".to_owned())],
    }
}

/// From the root of the crate on.
fn absolute(target: &[String], module: &[String]) -> Vec<String> {
    match target[0].as_str() {
        "crate" => target[1..].to_vec(),
        "self" => [module, &target[1..]].concat(),
        "super" => absolute(&[&["self".to_owned()], &target[1..]].concat(), &module[..module.len() - 1]),
        _ => [module, target].concat(),
    }
}

/// Where the type of this name is defined, as it is seen in a module.
fn place(modules: &Modules, module: &[String], name: &str) -> Place {
    let here = (module.to_vec(), name.to_owned());
    if defines(&modules[module], name) {
        return here;
    }
    let imported = modules[module].items.iter().find_map(|item| match item {
        Item::Use(item) => uses(&item.tree, &[]).into_iter().find(|(_, used)| used == name),
        _ => None,
    });
    match imported {
        Some((target, _)) => {
            let target = absolute(&target, module);
            let (of, name) = (target[..target.len() - 1].to_vec(), target[target.len() - 1].clone());
            // Perhaps exported again there.
            if of != module && modules.contains_key(&of) { place(modules, &of, &name) } else { (of, name) }
        }
        None => here,
    }
}

fn type_name(of: &Type) -> Option<String> {
    match of {
        Type::Path(path) => path.path.segments.last().map(|segment| segment.ident.to_string()),
        Type::Reference(reference) => type_name(&reference.elem),
        _ => None,
    }
}

/// What matters to users: features, derived traits, whether it may grow.
fn attributes(attributes: &[Attribute]) -> Vec<String> {
    let matters = |attribute: &&Attribute| {
        ["cfg", "derive", "non_exhaustive", "must_use", "deprecated"].iter().any(|name| attribute.path().is_ident(name))
    };
    attributes.iter().filter(matters).map(|attribute| shown(attribute) + " ").collect()
}

fn shown(attribute: &Attribute) -> String {
    let mut item: syn::ItemStruct = syn::parse_str("struct X;").expect("it is one");
    item.attrs = vec![attribute.clone()];
    if let Meta::NameValue(_) = attribute.meta {
        return String::new();
    }
    one_line(Item::Struct(item)).trim_end_matches("struct X;").trim().to_owned()
}

/// As rustfmt would have it, in one line.
fn one_line(item: Item) -> String {
    let file = syn::File { shebang: None, attrs: Vec::new(), items: vec![item] };
    let text = prettyplease::unparse(&file).split_whitespace().collect::<Vec<_>>().join(" ");
    text.replace("( ", "(").replace(", )", ")").replace(" )", ")").replace("(mut self", "(self")
}

/// The tokens of a macro's call keep their documentation as attributes.
fn without_docs(text: &str) -> String {
    let mut parts = text.split("#[doc = \"");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |without, part| without + part.split_once("\"] ").map_or(part, |(_, rest)| rest))
}

fn declaration(item: &Item) -> Vec<String> {
    let keep = |attrs: &[Attribute]| attributes(attrs).concat();
    match item {
        Item::Struct(item) => {
            let mut head = item.clone();
            head.attrs.clear();
            head.fields = Fields::Unit;
            let mut lines = vec![keep(&item.attrs) + one_line(Item::Struct(head)).trim_end_matches(';')];
            for (at, field) in item.fields.iter().enumerate().filter(|(_, field)| is_public(&field.vis)) {
                let mut alone = item.clone();
                alone.generics = syn::Generics::default();
                let name = field.ident.as_ref().map_or_else(|| at.to_string(), ToString::to_string);
                lines.push(format!("{}pub {name}: {}", keep(&field.attrs), type_shown(&field.ty)));
            }
            lines
        }
        Item::Enum(item) => {
            let mut head = item.clone();
            head.attrs.clear();
            head.variants.clear();
            let mut lines = vec![keep(&item.attrs) + one_line(Item::Enum(head)).trim_end_matches("{}").trim_end()];
            for variant in &item.variants {
                let mut alone = item.clone();
                alone.attrs.clear();
                alone.generics = syn::Generics::default();
                let mut variant = variant.clone();
                let kept = keep(&variant.attrs);
                variant.attrs.clear();
                variant.fields.iter_mut().for_each(|field| field.attrs.clear());
                alone.variants = std::iter::once(variant).collect();
                let text = one_line(Item::Enum(alone));
                let (_, text) = text.split_once('{').expect("a body");
                lines.push(format!("{kept}{}", text.trim().trim_end_matches('}').trim().trim_end_matches(',')));
            }
            lines
        }
        Item::Fn(item) => {
            let mut head = item.clone();
            head.attrs.clear();
            head.block.stmts.clear();
            vec![keep(&item.attrs) + one_line(Item::Fn(head)).trim_end_matches("{}").trim_end()]
        }
        other => {
            let mut other = other.clone();
            if let Item::Trait(item) = &mut other {
                item.attrs.clear();
                for item in &mut item.items {
                    if let syn::TraitItem::Fn(method) = item {
                        method.attrs.clear();
                    }
                }
            } else if let Item::Const(item) = &other {
                return vec![format!("pub const {}: {}", item.ident, type_shown(&item.ty))];
            } else if let Item::Type(item) = &mut other {
                item.attrs.clear();
            }
            vec![one_line(other)]
        }
    }
}

fn type_shown(of: &Type) -> String {
    let mut alias: syn::ItemType = syn::parse_str("type X = ();").expect("it is one");
    *alias.ty = of.clone();
    one_line(Item::Type(alias)).trim_start_matches("type X = ").trim_end_matches(';').to_owned()
}

/// The methods of a type that are public, or the trait that it has.
fn implementation(item: &syn::ItemImpl) -> Vec<String> {
    let mut head = item.clone();
    head.attrs.clear();
    head.items.clear();
    let kept = attributes(&item.attrs).concat();
    if item.trait_.is_some() {
        return vec![kept + one_line(Item::Impl(head)).trim_end_matches("{}").trim_end()];
    }
    // Methods of all of them need no more than their own line.
    let generics = if item.generics.params.is_empty() {
        String::new()
    } else {
        one_line(Item::Impl(head)).trim_end_matches("{}").trim_end().to_owned() + ": "
    };
    let mut lines = Vec::new();
    for member in &item.items {
        match member {
            ImplItem::Fn(method) if is_public(&method.vis) => {
                let function = syn::ItemFn {
                    attrs: Vec::new(),
                    vis: method.vis.clone(),
                    sig: method.sig.clone(),
                    block: Box::new(syn::Block { brace_token: method.block.brace_token, stmts: Vec::new() }),
                };
                let text = one_line(Item::Fn(function));
                let attributes = attributes(&method.attrs).concat();
                lines.push(format!("{kept}{generics}{attributes}{}", text.trim_end_matches("{}").trim_end()));
            }
            ImplItem::Const(constant) if is_public(&constant.vis) => {
                lines.push(format!("{kept}{generics}pub const {}: {}", constant.ident, type_shown(&constant.ty)));
            }
            _ => {}
        }
    }
    lines
}
