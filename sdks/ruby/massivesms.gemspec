# frozen_string_literal: true

require_relative "lib/massivesms/version"

Gem::Specification.new do |spec|
  spec.name = "massivesms"
  spec.version = MassiveSMS::VERSION
  spec.authors = ["MassiveSMS"]
  spec.email = ["support@massivesms.com"]
  spec.summary = "Send SMS, manage contacts and campaigns, and verify webhooks with MassiveSMS"
  spec.description = "The official library for the MassiveSMS API: typed methods, retries, idempotency and webhooks."
  spec.homepage = "https://api.massivesms.com/docs"
  spec.license = "MIT"
  spec.required_ruby_version = ">= 3.1"
  spec.files = Dir.chdir(__dir__) { Dir["lib/**/*.rb", "sig/**/*.rbs", "README.md", "CHANGELOG.md", "LICENSE"].sort }
  spec.require_paths = ["lib"]
  spec.metadata = {
    "rubygems_mfa_required" => "true",
    "documentation_uri" => "https://api.massivesms.com/docs",
    "changelog_uri" => "https://api.massivesms.com/docs/changelog"
  }
end
