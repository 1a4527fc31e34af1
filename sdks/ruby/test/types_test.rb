# frozen_string_literal: true

require "open3"
require_relative "helper"

# The types in sig/, where the gem rbs is installed. It loads Bundler, and so has a process of its own.
class TypesTest < Minitest::Test
  SCRIPT = <<~'RUBY'
    begin
      require "rbs"
    rescue LoadError
      exit 3
    end
    loader = RBS::EnvironmentLoader.new
    loader.add(path: Pathname(ARGV.first))
    environment = RBS::Environment.from_loader(loader).resolve_type_names
    builder = RBS::DefinitionBuilder.new(env: environment)
    own = environment.class_decls.select { |name, found| name.to_s.start_with?("::MassiveSMS::") && found.is_a?(RBS::Environment::ClassEntry) }
    own.each_key { |name| builder.build_instance(name) }
    puts own.size
  RUBY

  def test_all_types_are_found
    out, status = Open3.capture2e(RbConfig.ruby, "-e", SCRIPT, File.expand_path("../sig", __dir__))
    skip "rbs is not installed" if status.exitstatus == 3

    assert_predicate status, :success?, out[0, 500]
    assert_operator out.to_i, :>, 100
  end
end
