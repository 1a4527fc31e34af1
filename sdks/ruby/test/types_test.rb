# frozen_string_literal: true

require_relative "helper"

# The types in sig/, where the gem rbs is installed.
class TypesTest < Minitest::Test
  def test_all_types_are_found
    need_rbs
    loader = RBS::EnvironmentLoader.new
    loader.add(path: Pathname(File.expand_path("../sig", __dir__)))
    environment = RBS::Environment.from_loader(loader).resolve_type_names
    builder = RBS::DefinitionBuilder.new(env: environment)
    own = environment.class_decls.select { |name, found| name.to_s.start_with?("::MassiveSMS::") && found.is_a?(RBS::Environment::ClassEntry) }

    assert_operator own.size, :>, 100
    own.each_key { |name| builder.build_instance(name) }
  end

  private

  def need_rbs
    require "rbs"
  rescue LoadError
    skip "rbs is not installed"
  end
end
