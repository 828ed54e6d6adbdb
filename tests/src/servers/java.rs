//! Java libraries with their dependencies, copied by Maven.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use super::install::{install, on_path, run};

const EXTENDED_CLIENT: &str = "2.1.2";

/// Returns the jars of AWS's extended client. Requires `javac`, which compiles the program that uses the client.
pub(super) fn extended_client() -> Result<PathBuf> {
    on_path("javac").context("there is no javac on PATH")?;
    let artifact = ("com.amazonaws", "amazon-sqs-java-extended-client-lib", EXTENDED_CLIENT);
    jars("java-extended-client", artifact)
}

/// Returns the folder with an artifact's jar and its runtime dependencies, installed as `name` with the version.
pub(super) fn jars(name: &str, artifact: (&str, &str, &str)) -> Result<PathBuf> {
    let (_, _, version) = artifact;
    let folder = install(&format!("{name}-{version}"), |folder| {
        let maven = on_path("mvn").context("there is no mvn on PATH")?;
        fs::write(folder.join("pom.xml"), project(name, artifact))?;
        let goal = "dependency:copy-dependencies";
        run(Command::new(maven).current_dir(folder).args([
            "--batch-mode",
            "--quiet",
            goal,
            "-DincludeScope=runtime",
            "-DoutputDirectory=jars",
        ]))?;
        Ok(())
    })?;
    Ok(folder.join("jars"))
}

/// Returns a Maven project with a single dependency.
fn project(name: &str, (group, artifact, version): (&str, &str, &str)) -> String {
    format!(
        r#"<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>sqs-tests</groupId>
  <artifactId>{name}</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>{group}</groupId>
      <artifactId>{artifact}</artifactId>
      <version>{version}</version>
    </dependency>
  </dependencies>
</project>
"#
    )
}
