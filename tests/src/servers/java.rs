//! Java libraries with all that they need, copied by Maven.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use super::install::{install, on_path, run};

const EXTENDED_CLIENT: &str = "2.1.2";

/// The jars of AWS's extended client, where there is a Java that can compile the program that calls it.
pub(super) fn extended_client() -> Result<PathBuf> {
    on_path("javac").context("there is no javac on PATH")?;
    let artifact = ("com.amazonaws", "amazon-sqs-java-extended-client-lib", EXTENDED_CLIENT);
    jars("java-extended-client", artifact)
}

/// The folder of this artifact's jar and of those that it needs to run, installed as `name` and the version.
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

/// A Maven project that is nothing but its dependency.
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
